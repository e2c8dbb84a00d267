"""The committed rules, by kind."""

from typing import Any

import yaml

from tests.monitoring.prometheus import COMMITTED

PATHS = sorted((COMMITTED / "rules").glob("*.yml"))
RULES: list[dict[str, Any]] = [
    rule for path in PATHS for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
# Several rules may record under one name, with different labels.
RECORDS = sorted({rule["record"] for rule in RULES if "record" in rule})
