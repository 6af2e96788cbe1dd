#!/usr/bin/env bash
# Produce a demo mix request to Kafka, making whatever is missing for it, and say what to look at next.
# Usage: scripts/dev/seed_demo.sh [--mix-request FILE] [--mix-id ID]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)

request=slow_render_case.json
mix_id=
while [ $# -gt 0 ]; do
  case $1 in
    --mix-request) request=${2:?--mix-request needs a file}; shift 2 ;;
    --mix-id) mix_id=${2:?--mix-id needs an id}; shift 2 ;;
    -h|--help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
    *) echo "seed_demo.sh: unknown argument $1; see --help" >&2; exit 2 ;;
  esac
done
for place in "$request" "$root/media/$request"; do
  [ -f "$place" ] && { request=$(cd "$(dirname "$place")" && pwd)/$(basename "$place"); break; }
done
[ -f "$request" ] || { echo "seed_demo.sh: $request is neither here nor in media/" >&2; exit 2; }

cd "$root"
scripts/setup
export PATH="$PWD/.venv/bin:$PATH"
python scripts/media/create_samples.py >&2
python scripts/media/create_placeholder_clip.py >&2
[ -n "${RENDER_KAFKA_BOOTSTRAP:-}" ] || clipfold kafka start >/dev/null
clipfold topics create

# A fresh id each time: the same request again would be the same mix, which is made once.
mix_id=${mix_id:-$(basename "$request" .json | tr _ -)-$(date -u +%Y%m%d-%H%M%S)}
clipfold submit "$request" --mix-id "$mix_id"
bootstrap=${RENDER_KAFKA_BOOTSTRAP:-$(clipfold kafka status --json | python -c 'import json, sys; print(json.load(sys.stdin)["bootstrap"])')}

cat <<NEXT

The request is in Kafka. What to look at next:
  clipfold worker                        cuts and joins, if none runs yet
  clipfold serve                         projects the log into artifacts/clipfold.duckdb, if none runs yet
  clipfold watch $mix_id
  kcat -b $bootstrap -C -t mix-events -o beginning -e -f '%T %p %o %k %s\n'
  clipfold sql "SELECT * FROM clip_stats WHERE mix_id = '$mix_id'"
NEXT
