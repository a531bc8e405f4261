"""Mixtures of experts: made of dense models, routed by language, looked at, added to, brought in from elsewhere."""
