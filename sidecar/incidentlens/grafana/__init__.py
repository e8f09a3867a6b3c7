"""IncidentLens as a Grafana data source: frames, the query types that fill them, and the plugin's protocol."""
