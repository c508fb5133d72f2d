"""The audit log: who changed what by a command. A command that cannot be recorded is not carried out."""
