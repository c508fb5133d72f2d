"""Read what CRMs export: accounts, deals and e-mail."""
