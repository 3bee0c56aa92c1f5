"""What routes are given: the service that this process opened when it started."""

from typing import Annotated

from fastapi import Depends, Request

from workers.runtime import Service
from workers.settings import Settings


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


ServiceDep = Annotated[Service, Depends(_service)]
SettingsDep = Annotated[Settings, Depends(_settings)]
