"""Do segments predict what users do later? Outcomes, baselines and lift."""
