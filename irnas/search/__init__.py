"""The search: a strategy decides, a session keeps count and records, an executor owns time and place."""
