package main

// What a pretended container does with its life, read from its command line. A container's state is a
// pure function of its program, its start and the clock, so nothing here needs a timer or a process.
//
// Understood: sleep (GNU forms: fractions, s/m/h/d, several operands, infinity), true, false, ":", echo,
// and sh/ash/bash -c with a sequence of these, "exit N" and "trap '' TERM", joined by ";", newlines or
// "&&". Whatever else is named runs for ever: it may be a server.

import (
	"path"
	"strconv"
	"strings"
	"time"
)

// A program ends after duration with exitCode, unless it runs for ever.
type program struct {
	forever     bool
	duration    time.Duration
	exitCode    int32
	ignoresTerm bool // set by trap '' TERM: a stop then lasts its whole grace period
	exited      bool // set by "exit": what follows in a script is never reached
}

var sleepUnits = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// The longest sleep that is told from for ever, so that no duration overflows.
const longestSleep = 365 * 24 * time.Hour

func parseProgram(argv []string) program {
	if len(argv) == 0 { // the image's own entry point
		return program{forever: true}
	}
	operands := argv[1:]
	switch path.Base(argv[0]) {
	case "true", ":", "echo":
		return program{}
	case "false":
		return program{exitCode: 1}
	case "sleep":
		return parseSleep(operands)
	case "exec":
		return parseProgram(operands)
	case "exit":
		return parseExit(operands)
	case "trap":
		return parseTrap(operands)
	case "sh", "ash", "bash":
		if len(operands) >= 2 && strings.HasPrefix(operands[0], "-") && strings.HasSuffix(operands[0], "c") {
			return parseScript(operands[1])
		}
	}
	return program{forever: true}
}

func parseSleep(operands []string) program {
	total := program{}
	if len(operands) == 0 {
		return program{exitCode: 1}
	}
	for _, operand := range operands {
		unit := time.Second
		if operand != "" {
			if named, ok := sleepUnits[operand[len(operand)-1]]; ok {
				unit, operand = named, operand[:len(operand)-1]
			}
		}
		amount, err := strconv.ParseFloat(operand, 64)
		if err != nil || amount < 0 || amount != amount {
			return program{exitCode: 1}
		}
		if amount > float64(longestSleep/unit) {
			total.forever = true
			continue
		}
		total.duration += time.Duration(amount * float64(unit))
	}
	return total
}

func parseExit(operands []string) program {
	if len(operands) == 0 {
		return program{exited: true}
	}
	code, err := strconv.Atoi(operands[0])
	if err != nil {
		return program{exitCode: 2, exited: true}
	}
	return program{exitCode: int32(code & 0xff), exited: true}
}

func parseTrap(operands []string) program {
	if len(operands) < 2 || strings.Trim(operands[0], `'"`) != "" {
		return program{}
	}
	for _, signal := range operands[1:] {
		if strings.TrimPrefix(signal, "SIG") == "TERM" || signal == "15" {
			return program{ignoresTerm: true}
		}
	}
	return program{}
}

func parseScript(script string) program {
	whole := program{}
	script = strings.NewReplacer("&&", ";&&", "\n", ";").Replace(script)
	for _, statement := range strings.Split(script, ";") {
		conditional := strings.HasPrefix(statement, "&&")
		words := strings.Fields(strings.TrimPrefix(statement, "&&"))
		if len(words) == 0 || conditional && whole.exitCode != 0 {
			continue
		}
		step := parseProgram(words)
		if words[0] == "exit" && len(words) == 1 {
			step.exitCode = whole.exitCode
		}
		whole.duration += step.duration
		whole.exitCode = step.exitCode
		whole.ignoresTerm = whole.ignoresTerm || step.ignoresTerm
		whole.forever = step.forever
		if step.exited || step.forever {
			break
		}
	}
	return whole
}
