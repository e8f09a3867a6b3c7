"""`incidentlens bench`: figures with their conditions, and a peer beside them in the same run."""
