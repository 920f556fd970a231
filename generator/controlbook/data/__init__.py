# SPDX-License-Identifier: Apache-2.0
"""Facts about AWS that the package carries."""
