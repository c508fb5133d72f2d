"""Who may use the console: login by token or OpenID Connect, sessions, roles, and what every answer carries."""
