"""Speed on this machine, printed as Markdown. Not tests: nothing here passes or fails."""
