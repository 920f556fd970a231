# SPDX-License-Identifier: Apache-2.0
"""Pull requests and their reviews, behind one Protocol."""
