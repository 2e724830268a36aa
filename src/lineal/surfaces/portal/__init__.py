"""The portal: pages for people, made on the server, readable without a script."""

from lineal.surfaces.portal.pages import Portal

__all__ = ["Portal"]
