"""Where metrics and alarms are kept: a module, or a small package, for each kind of place."""
