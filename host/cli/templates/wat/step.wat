;; Two steps by hand: what every other language generates. All offsets below 4096 are fixed: texts, the return area at 1024, the
;; option that the host returns at 2048. The rest of the memory is given out by `cabi_realloc`, and an attempt never gives it back.
(module
  (import "milepost:step/context@0.1.0" "resume-state" (func $resume_state (param i32)))
  (import "milepost:step/context@0.1.0" "resume-signal" (func $resume_signal (param i32)))
  (memory (export "memory") 1)
  (global $heap (mut i32) (i32.const 4096))

  (data (i32.const 0) "greet")
  (data (i32.const 16) "ask")
  (data (i32.const 32) "{\"name\":\"")
  (data (i32.const 48) "{\"greeting\":\"Hello, ")
  (data (i32.const 80) "!\"}")
  (data (i32.const 96) "{\"question\":\"")
  (data (i32.const 112) "{\"answer\":")
  (data (i32.const 128) "answer")
  (data (i32.const 144) "needs-answer")
  (data (i32.const 160) "waiting for the signal `answer`")
  (data (i32.const 208) "invalid_input")
  (data (i32.const 224) "the input is not what the step takes")
  (data (i32.const 272) "unknown_step")
  (data (i32.const 288) "the plugin has no such step")
  (data (i32.const 3072)
    "{\"name\":\"{{name}}\",\"version\":\"0.1.0\",\"description\":\"Greets and asks.\",\"steps\":{"
    "\"greet\":{\"description\":\"Greets somebody.\","
    "\"input\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}},\"required\":[\"name\"],\"additionalProperties\":false},"
    "\"output\":{\"type\":\"object\",\"properties\":{\"greeting\":{\"type\":\"string\"}},\"required\":[\"greeting\"]}},"
    "\"ask\":{\"description\":\"Asks a person: pauses until the signal `answer` arrives.\","
    "\"input\":{\"type\":\"object\",\"properties\":{\"question\":{\"type\":\"string\"}},\"required\":[\"question\"],\"additionalProperties\":false},"
    "\"output\":{\"type\":\"object\",\"properties\":{\"question\":{\"type\":\"string\"},\"answer\":{}},\"required\":[\"question\",\"answer\"]}}}}")

  (func $alloc (param $n i32) (result i32) (local $p i32) (local $need i32)
    (local.set $p (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $p) (local.get $n)))
    (local.set $need (i32.sub
      (i32.shr_u (i32.add (global.get $heap) (i32.const 65535)) (i32.const 16)) (memory.size)))
    (if (i32.gt_s (local.get $need) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $need)) (i32.const -1)) (then (unreachable)))))
    (local.get $p))
  (func (export "cabi_realloc") (param $old i32) (param $old_n i32) (param $align i32) (param $n i32) (result i32)
    (local $p i32)
    (local.set $p (call $alloc (local.get $n)))
    (memory.copy (local.get $p) (local.get $old) (local.get $old_n))
    (local.get $p))

  ;; Whether the text at $a begins with the $n bytes at $b.
  (func $begins (param $a i32) (param $a_n i32) (param $b i32) (param $n i32) (result i32)
    (if (i32.lt_u (local.get $a_n) (local.get $n)) (then (return (i32.const 0))))
    (block $differs (loop $next
      (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $differs (i32.ne (i32.load8_u (i32.add (local.get $a) (local.get $n)))
                              (i32.load8_u (i32.add (local.get $b) (local.get $n)))))
      (br $next)))
    (i32.const 0))
  (func $is (param $a i32) (param $a_n i32) (param $b i32) (param $n i32) (result i32)
    (i32.and (i32.eq (local.get $a_n) (local.get $n))
             (call $begins (local.get $a) (local.get $a_n) (local.get $b) (local.get $n))))
  ;; Appends bytes and returns where the next ones go.
  (func $put (param $at i32) (param $p i32) (param $n i32) (result i32)
    (memory.copy (local.get $at) (local.get $p) (local.get $n))
    (i32.add (local.get $at) (local.get $n)))

  ;; What a step returns, at 1024: result<json, step-error>.
  (func $ok (param $p i32) (param $end i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store (i32.const 1032) (local.get $p))
    (i32.store (i32.const 1036) (i32.sub (local.get $end) (local.get $p)))
    (i32.const 1024))
  (func $failed (param $code i32) (param $code_n i32) (param $text i32) (param $text_n i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.store8 (i32.const 1032) (i32.const 1)) ;; failed
    (i32.store (i32.const 1040) (local.get $code))
    (i32.store (i32.const 1044) (local.get $code_n))
    (i32.store (i32.const 1048) (local.get $text))
    (i32.store (i32.const 1052) (local.get $text_n))
    (i32.store8 (i32.const 1056) (i32.const 0)) ;; no detail
    (i32.const 1024))
  (func $invalid (result i32)
    (call $failed (i32.const 208) (i32.const 13) (i32.const 224) (i32.const 36)))
  (func $paused (param $state i32) (param $state_n i32) (result i32)
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.store8 (i32.const 1032) (i32.const 2)) ;; paused
    (i32.store (i32.const 1040) (i32.const 144)) ;; code
    (i32.store (i32.const 1044) (i32.const 12))
    (i32.store (i32.const 1048) (i32.const 160)) ;; reason
    (i32.store (i32.const 1052) (i32.const 31))
    (i32.store8 (i32.const 1056) (i32.const 0)) ;; no provider
    (i32.store8 (i32.const 1072) (i32.const 0)) ;; no time
    (i32.store8 (i32.const 1088) (i32.const 1)) ;; the signal
    (i32.store (i32.const 1092) (i32.const 128))
    (i32.store (i32.const 1096) (i32.const 6))
    (i32.store8 (i32.const 1100) (i32.const 1)) ;; the state
    (i32.store (i32.const 1104) (local.get $state))
    (i32.store (i32.const 1108) (local.get $state_n))
    (i32.const 1024))

  ;; {"name":"Ada"} becomes {"greeting":"Hello, Ada!"}: the host hands over JSON without white space, and what is escaped in a
  ;; string stays so.
  (func $greet (param $p i32) (param $n i32) (result i32) (local $out i32) (local $at i32)
    (if (i32.eqz (call $begins (local.get $p) (local.get $n) (i32.const 32) (i32.const 9)))
      (then (return (call $invalid))))
    (local.set $out (call $alloc (i32.add (local.get $n) (i32.const 32))))
    (local.set $at (call $put (local.get $out) (i32.const 48) (i32.const 20)))
    (local.set $at (call $put (local.get $at)
      (i32.add (local.get $p) (i32.const 9)) (i32.sub (local.get $n) (i32.const 11))))
    (call $ok (local.get $out) (call $put (local.get $at) (i32.const 80) (i32.const 3))))

  ;; Pauses with its input as the state. When an answer has come: {"answer":…, and the rest of the state.
  (func $ask (param $p i32) (param $n i32) (result i32) (local $out i32) (local $at i32)
    (if (i32.eqz (call $begins (local.get $p) (local.get $n) (i32.const 96) (i32.const 13)))
      (then (return (call $invalid))))
    (call $resume_state (i32.const 2048))
    (if (i32.load8_u (i32.const 2048))
      (then
        (local.set $p (i32.load (i32.const 2052)))
        (local.set $n (i32.load (i32.const 2056)))))
    (call $resume_signal (i32.const 2048))
    (if (i32.eqz (i32.load8_u (i32.const 2048))) (then (return (call $paused (local.get $p) (local.get $n)))))
    (local.set $out (call $alloc (i32.add (i32.add (local.get $n) (i32.load (i32.const 2056))) (i32.const 16))))
    (local.set $at (call $put (local.get $out) (i32.const 112) (i32.const 10)))
    (local.set $at (call $put (local.get $at) (i32.load (i32.const 2052)) (i32.load (i32.const 2056))))
    (i32.store8 (local.get $at) (i32.const 0x2c))
    (call $ok (local.get $out) (call $put (i32.add (local.get $at) (i32.const 1))
      (i32.add (local.get $p) (i32.const 1)) (i32.sub (local.get $n) (i32.const 1)))))

  (func (export "milepost:step/guest@0.1.0#run") (param $step i32) (param $step_n i32) (param $p i32) (param $n i32) (result i32)
    (if (call $is (local.get $step) (local.get $step_n) (i32.const 0) (i32.const 5))
      (then (return (call $greet (local.get $p) (local.get $n)))))
    (if (call $is (local.get $step) (local.get $step_n) (i32.const 16) (i32.const 3))
      (then (return (call $ask (local.get $p) (local.get $n)))))
    (call $failed (i32.const 272) (i32.const 12) (i32.const 288) (i32.const 27)))

  ;; The manifest ends where the memory holds no more text.
  (func (export "milepost:step/guest@0.1.0#describe") (result i32) (local $n i32)
    (loop $next
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.load8_u (i32.add (i32.const 3072) (local.get $n)))))
    (i32.store (i32.const 1024) (i32.const 3072))
    (i32.store (i32.const 1028) (local.get $n))
    (i32.const 1024)))
