"""No cookies."""

from typing import Any

import httpx


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Leaves them: they have no use here, and looking for them takes httpx long."""


_NO_COOKIES = _NoCookies()


class Cookieless:
    """What makes an httpx client leave the cookies of answers where they are."""

    @property
    def cookies(self) -> httpx.Cookies:
        """None, whatever answers or callers set."""
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: Any) -> None: ...
