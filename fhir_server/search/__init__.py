"""The search language: parameters, extraction, query tree, matching, paging."""
