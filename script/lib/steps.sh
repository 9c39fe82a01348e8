# shellcheck shell=bash
# Sourced, after say.sh. Steps with their duration, and the sum of what the test runners counted.

steps_log=$(mktemp)
passed=0
failed=0
step_times=()

# step NAME COMMAND...: runs it, shows what it says, counts its tests. A step that fails lets the next ones run.
step() {
    local name=$1 start=$SECONDS code=0 ok bad took
    shift
    headline "$name"
    set +e
    "$@" </dev/null 2>&1 | tee "$steps_log"
    code=${PIPESTATUS[0]}
    set -e
    # cargo: "test result: ok. 12 passed; 0 failed; …"   node: "# pass 3" or "ℹ pass 3"
    ok=$(sed -nE 's/^test result: [^0-9]*([0-9]+) passed;.*/\1/p; s/^(#|ℹ) pass ([0-9]+)$/\2/p' "$steps_log" | paste -sd+)
    bad=$(sed -nE 's/^test result: .* ([0-9]+) failed;.*/\1/p; s/^(#|ℹ) (fail|cancelled|skipped) ([0-9]+)$/\3/p' "$steps_log" | paste -sd+)
    ok=$((${ok:-0})) bad=$((${bad:-0}))
    # A step that fails without a test that failed: a lint, a build, a missing tool.
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    passed=$((passed + ok)) failed=$((failed + bad))
    took=$((SECONDS - start))
    step_times+=("$(printf '%5d s  %s%s' "$took" "$name" "$([ "$bad" -eq 0 ] || printf '  FAILED')")")
    say "-- $name: $took s"
}

# The table of steps, then the line that counts; fails when anything did, or when no test ran.
finish_steps() {
    rm -f "$steps_log"
    headline "in all $SECONDS s"
    printf '%s\n' "${step_times[@]}"
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
