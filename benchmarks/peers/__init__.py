"""The same job on other frameworks and by hand, and what runs them beside a worker."""
