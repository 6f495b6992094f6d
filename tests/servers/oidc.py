#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An identity provider for as long as its standard input is open: see oidc_provider.mjs. When it answers, one line of
JSON says where."""
import os
import pathlib

HERE = pathlib.Path(__file__).parent

if not (HERE / "node_modules" / "oidc-provider").exists():
    raise SystemExit("oidc-provider is not installed: ./dev setup")
os.execvp("node", ["node", "--no-warnings", HERE / "oidc_provider.mjs"])
