"""What routes are given: the service that this process opened when it started."""

from typing import Annotated

from fastapi import Depends, Request

from workers.runtime import Service


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]
