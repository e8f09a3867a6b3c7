"""Where records come in: Loki, files, alerts. Nothing is lost or doubled at a window's edge."""
