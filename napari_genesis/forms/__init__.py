"""Forms made from pydantic settings: every field becomes a control, by its type, bounds and unit.

`form.SettingsForm` is the whole form, `control.Control` one row of it. Files without Qt (`fields`, `quantity`, `scale`)
hold what there is to know about a field; nothing here knows what the settings are for.
"""
