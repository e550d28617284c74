package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	networkv1 "evmesh/gen/network/v1"
)

// notification is a message on driver_notifications, as far as this example reads it.
type notification struct {
	Type      string `json:"type"`
	SessionID string `json:"session_id"`
	RequestID string `json:"request_id"`
	Seq       *int64 `json:"seq"`    // none in a reading that nobody has answered for yet
	Code      string `json:"code"`   // why, for programs: the reason of the call's ErrorInfo
	Reason    string `json:"reason"` // and for people
	ticket
}

// networkStatus is a message on network_status: a broadcast, or a part of a large network's.
type networkStatus struct {
	ChargePoints []struct {
		ID string `json:"id"`
	} `json:"cps"`
	BroadcastID string `json:"broadcast_id"`
	Part        int    `json:"part"`
	Parts       int    `json:"parts"`
}

// told is what the driver was told of its requests.
type told struct {
	Denial  string `json:"denial"`
	AuthOK  bool   `json:"auth_ok"`
	Updates bool   `json:"updates"`
	Ticket  ticket `json:"ticket"`
}

// consumerFromNow reads both topics from here on, in no group: in a shared one, drivers would take each other's messages.
func consumerFromNow(ctx context.Context, opts options) (*kgo.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(opts.kafka))
	if err != nil {
		return nil, err
	}
	// Asked for now; "from the end" alone would be asked for at the first fetch.
	ends, err := kadm.NewClient(consumer).
		ListEndOffsets(ctx, opts.topicPrefix+notificationsTopic, opts.topicPrefix+networkStatusTopic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		consumer.Close()
		return nil, err
	}
	consumer.AddConsumePartitions(ends.KOffsets())
	return consumer, nil
}

// readTopics gives what the driver was told of the denied request, and of this session to its end, and one whole broadcast
// of the network.
func readTopics(ctx context.Context, consumer *kgo.Client, opts options, deniedID string, session *networkv1.Session) (
	told told, ids []string, err error) {
	lastType := "TICKET"
	if session.GetTicket() == nil {
		lastType = "SUPPLY_ERROR" // nothing was supplied, so no ticket is due
	}
	ctx, cancel := context.WithTimeoutCause(ctx, kafkaTimeout,
		fmt.Errorf("no %s, or no broadcast, within %s", lastType, kafkaTimeout))
	defer cancel()
	lastSeq, ended := int64(-1), false // AUTH_OK has seq 0
	var broadcast broadcast
	for !ended || ids == nil {
		fetches := consumer.PollFetches(ctx)
		if ctx.Err() != nil {
			return told, nil, context.Cause(ctx)
		}
		if err := fetches.Err(); err != nil {
			return told, nil, err
		}
		for _, record := range fetches.Records() {
			switch {
			case record.Topic == opts.topicPrefix+networkStatusTopic:
				var message networkStatus
				if err := json.Unmarshal(record.Value, &message); err != nil {
					return told, nil, err
				}
				if broadcast.add(message) {
					ids = broadcast.ids()
				}
			case string(record.Key) == opts.driver:
				var message notification
				if err := json.Unmarshal(record.Value, &message); err != nil {
					return told, nil, err
				}
				if message.Type == "AUTH_DENIED" && message.RequestID == deniedID {
					told.Denial = message.Code
				}
				if message.SessionID != session.GetSessionId() || message.Seq != nil && *message.Seq <= lastSeq {
					continue // another session's, or a repeat
				}
				if message.Seq != nil {
					lastSeq = *message.Seq
				}
				ended = message.Type == lastType
				switch message.Type {
				case "AUTH_OK":
					told.AuthOK = true
				case "CONSUMO_UPDATE":
					told.Updates = true
				case "SUPPLY_ERROR":
					log.Printf("the supply failed: %s: %s", message.Code, message.Reason)
				case "TICKET":
					told.Ticket = message.ticket
				}
			}
		}
	}
	return told, ids, nil
}

// broadcast gathers the parts of one. A small network's is a single message without these fields.
type broadcast struct {
	id    string
	parts map[int][]string
}

// add says whether the broadcast is whole now.
func (b *broadcast) add(message networkStatus) bool {
	if b.parts == nil || message.BroadcastID != b.id {
		b.id, b.parts = message.BroadcastID, map[int][]string{}
	}
	part := []string{}
	for _, point := range message.ChargePoints {
		part = append(part, point.ID)
	}
	b.parts[message.Part] = part
	return len(b.parts) >= message.Parts
}

func (b *broadcast) ids() []string {
	ids := []string{}
	for _, part := range b.parts {
		ids = append(ids, part...)
	}
	slices.Sort(ids)
	return ids
}
