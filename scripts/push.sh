#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Push the collector's commits to a branch of GITHUB_REPOSITORY with TOKEN.
# When somebody merged meanwhile, the commits move on top; their files' bytes stay.
set -euo pipefail

branch=$1
remote="${GITHUB_SERVER_URL:?}/${GITHUB_REPOSITORY:?}"

# The token reaches Git through its environment: not in a URL, a file or an argument.
export GIT_CONFIG_COUNT=1
export GIT_CONFIG_KEY_0="http.$remote.extraHeader"
GIT_CONFIG_VALUE_0="Authorization: Basic $(printf 'x-access-token:%s' "${TOKEN:?}" | base64 -w0)"
export GIT_CONFIG_VALUE_0

# A rebase names a committer: the one of the commits that it moves.
GIT_COMMITTER_NAME=$(git log -1 --format=%cn)
GIT_COMMITTER_EMAIL=$(git log -1 --format=%ce)
export GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL

for _ in 1 2 3; do
    if git push "$remote" "HEAD:refs/heads/$branch"; then exit 0; fi
    git fetch "$remote" "refs/heads/$branch"
    git rebase --quiet --committer-date-is-author-date FETCH_HEAD
done
echo "scripts/push.sh: $branch moved three times while pushing; run the workflow again" >&2
exit 1
