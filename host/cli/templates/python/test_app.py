"""Unit tests: the guest is an ordinary class. Run them with `python -m unittest`."""

import unittest

from app import App
from herd_sdk import Context, Input, Mark


class AppTest(unittest.TestCase):
    def test_hello_greets(self):
        context = Context(5, (0, 0), lambda keys: [None] * len(keys))
        App("Riley", {}).input(Input(b"HELLO kiwi\n", Mark.MORE), context)
        self.assertIn(b"hello, kiwi\n", context.output)


if __name__ == "__main__":
    unittest.main()
