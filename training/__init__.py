"""The experiment: jobs, Lightning, MLflow tracking, evaluation and reports."""
