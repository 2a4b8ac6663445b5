"""An instant as the name of a folder: backups lie in one each."""

from datetime import datetime


def written(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H-%M-%SZ")
