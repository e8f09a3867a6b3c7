"""incidentlens.yaml: its models, its loading with exact complaints, and its reloading when a file changes."""
