# SPDX-License-Identifier: Apache-2.0
"""An AWS and a GitHub on loopback to try the product on."""
