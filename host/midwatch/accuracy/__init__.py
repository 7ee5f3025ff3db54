"""How often an investigation is right: run on applications that were really broken, scored by what was really done."""
