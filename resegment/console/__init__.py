"""What people see: tables, charts and messages. Programs read JSON instead."""
