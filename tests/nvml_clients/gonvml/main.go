// Gonvml tells, as JSON on standard output, what NVIDIA's own Go bindings see and do on the NVML library that the loader finds.
//
//	gonvml look                     every GPU: identity, MIG mode, profiles in each struct version, placements, instances
//	gonvml make UUID PROFILE START  makes a GPU instance of the profile id at that memory slice and a compute instance
//	                                that fills it, looks at it from every side, and takes both away again
//
// It uses the bindings as published and knows no library in particular. Every NVML return code is told, none is judged:
// that is for the reader. It ends with status 1 and one line on standard error where it cannot go on.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gonvml:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if err := checked("Init", nvml.Init()); err != nil {
		return err
	}
	answer, err := answered(args)
	if err == nil {
		err = checked("Shutdown", nvml.Shutdown())
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func answered(args []string) (any, error) {
	switch {
	case len(args) == 1 && args[0] == "look":
		return look()
	case len(args) == 4 && args[0] == "make":
		profile, err := strconv.Atoi(args[2])
		if err != nil {
			return nil, fmt.Errorf("PROFILE: %w", err)
		}
		start, err := strconv.Atoi(args[3])
		if err != nil {
			return nil, fmt.Errorf("START: %w", err)
		}
		return makeAndTake(args[1], uint32(profile), uint32(start))
	}
	return nil, fmt.Errorf("say `look`, or `make UUID PROFILE START`; not %q", args)
}

// checked is nil for success, and else says which call was refused and why.
func checked(call string, ret nvml.Return) error {
	if ret == nvml.SUCCESS {
		return nil
	}
	return fmt.Errorf("%s: %s (%d)", call, nvml.ErrorString(ret), int(ret))
}

// text is a C string in an array of fixed size.
func text(chars []int8) string {
	var bytes []byte
	for _, char := range chars {
		if char == 0 {
			break
		}
		bytes = append(bytes, byte(char))
	}
	return string(bytes)
}
