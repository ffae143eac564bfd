package config

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // an image has no zones of its own
)

// Location is the zone of times that tell none.
func (s *Source) Location() (*time.Location, error) {
	if s.TimeZone == "" || s.TimeZone == "UTC" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(s.TimeZone)
	// Names without a region, such as CST, are of many zones, and Local is another one
	// on each machine.
	if err != nil || !strings.Contains(s.TimeZone, "/") {
		return nil, fmt.Errorf("%q is not a time zone; it is an IANA name such as Asia/Shanghai, or UTC", s.TimeZone)
	}
	return zone, nil
}
