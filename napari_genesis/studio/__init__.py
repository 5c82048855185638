"""The Corruption Studio: tune every corruption live on a scan, see what a network would learn from, save the recipe.

`studio` is the dock widget; the other files each hold one part of it. Files without Qt hold what there is to know.
"""
