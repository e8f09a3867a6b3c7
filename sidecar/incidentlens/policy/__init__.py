"""Every decision passes here: thresholds, floors, cooldowns, escalation by count, suppression. It may overrule a model."""
