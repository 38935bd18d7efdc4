"""A Django project in one file: its settings, its URLs, and both of its applications."""

import logging
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_app")

SECRET_KEY = "a test has no secrets"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_app"
MIDDLEWARE = []
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"app": {"level": "INFO"}},
}

log = logging.getLogger("app")


def item(request, item):
    from django.http import HttpResponse

    log.info("handling %s", item)
    return HttpResponse("ok")


def boom(request):
    raise RuntimeError("boom")


def __getattr__(name):
    if name == "urlpatterns":
        from django.urls import path

        return [path("items/<item>", item), path("boom", boom)]
    if name == "asgi":
        from django.core.asgi import get_asgi_application

        return globals().setdefault("asgi", get_asgi_application())
    if name == "wsgi":
        from django.core.wsgi import get_wsgi_application

        return globals().setdefault("wsgi", get_wsgi_application())
    raise AttributeError(name)
