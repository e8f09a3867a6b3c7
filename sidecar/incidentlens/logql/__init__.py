"""LogQL: a grammar, a printer, checks and an evaluator over any source of logs."""
