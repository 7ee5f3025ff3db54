"""Places that keep logs, one module or package each. Which of them are on, the settings say; see registry."""
