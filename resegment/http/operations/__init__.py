"""What operators do in the console: the same as the commands, recorded in the audit log under the name of their login."""
