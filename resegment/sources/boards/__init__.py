"""Watch job boards: a board shows the jobs that are open now, and what changed is the difference between two looks."""
