"""The dashboards that come with IncidentLens: one module a dashboard, and what they share."""
