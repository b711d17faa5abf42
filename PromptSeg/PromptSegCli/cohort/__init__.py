"""``promptseg cohort``: prompts applied to many patients, on this computer or on a cluster."""
