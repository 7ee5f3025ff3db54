"""Importers of public incident data: one case becomes one snapshot. They are for measuring; the product knows none."""
