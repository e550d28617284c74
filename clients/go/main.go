// Charge is a driver's charge, from the list of charge points to the ticket, over gRPC and Kafka.
//
// People read stderr; the last line on stdout is one JSON object with what came of it.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	driverv1 "evmesh/gen/driver/v1"
	networkv1 "evmesh/gen/network/v1"
)

//go:generate buf generate

const (
	callTimeout  = 10 * time.Second // central itself waits 5 s for a charge point's answer
	kafkaTimeout = 30 * time.Second // a ticket follows its session at once, a broadcast comes every 5 s
	retryAfter   = time.Second      // before a stream that broke is opened again
	pageSize     = 3                // so that a small network has several pages; up to 500

	notificationsTopic = "driver_notifications"
	networkStatusTopic = "network_status"
)

type options struct{ central, identity, kafka, topicPrefix, driver, chargePoint, place string }

type ticket struct {
	EnergyWh     uint64 `json:"energy_wh"`
	AmountMicros int64  `json:"amount_micros"`
	Currency     string `json:"currency"`
}

type outcome struct {
	ChargePoints  []string `json:"charge_points"`
	Denial        string   `json:"denial"`
	SameSession   bool     `json:"same_session"`
	Outcome       string   `json:"outcome"`
	Ticket        ticket   `json:"ticket"`
	Notifications told     `json:"notifications"`
	NetworkStatus struct {
		IDs []string `json:"ids"`
	} `json:"network_status"`
}

func main() {
	log.SetFlags(0)
	var opts options
	flag.StringVar(&opts.central, "central", "127.0.0.1:50051", "central's `HOST:PORT`")
	flag.StringVar(&opts.identity, "identity", "", "the driver's, a folder `DIR`; without it, plain text")
	flag.StringVar(&opts.kafka, "kafka", "127.0.0.1:9092", "Kafka's `HOST:PORT`")
	flag.StringVar(&opts.topicPrefix, "topic-prefix", "", "the network's `TEXT` before its topics' names")
	flag.StringVar(&opts.driver, "driver", "101", "`ID` of who charges")
	flag.StringVar(&opts.chargePoint, "charge-point", "", "`ID` of where; without it, central chooses")
	flag.StringVar(&opts.place, "place", "", "central chooses among places that start with `PREFIX`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	result, err := run(ctx, opts)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatal(err)
	}
}

// bearer is the token that goes with each call.
type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

// RequireTransportSecurity keeps it from ever going in plain text.
func (bearer) RequireTransportSecurity() bool { return true }

// protectionBy an identity, a folder of who calls, by a certificate or by a token, and whom it believes; or none.
func protectionBy(identity string) ([]grpc.DialOption, error) {
	if identity == "" {
		return []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, nil
	}
	core, err := os.ReadFile(filepath.Join(identity, "core.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(core) {
		return nil, fmt.Errorf("core.pem of %s has no certificate", identity)
	}
	certificate := filepath.Join(identity, "certificate.pem")
	if _, err := os.Stat(certificate); errors.Is(err, fs.ErrNotExist) {
		token, err := os.ReadFile(filepath.Join(identity, "token"))
		if err != nil {
			return nil, err
		}
		protection := grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots}))
		return []grpc.DialOption{protection, grpc.WithPerRPCCredentials(bearer(strings.TrimSpace(string(token))))}, nil
	}
	own, err := tls.LoadX509KeyPair(certificate, filepath.Join(identity, "key.pem"))
	if err != nil {
		return nil, err
	}
	protection := credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{own}, RootCAs: roots})
	return []grpc.DialOption{grpc.WithTransportCredentials(protection)}, nil
}

func run(ctx context.Context, opts options) (result outcome, err error) {
	protection, err := protectionBy(opts.identity)
	if err != nil {
		return result, err
	}
	connection, err := grpc.NewClient(opts.central, protection...)
	if err != nil {
		return result, err
	}
	defer connection.Close()
	central := driverv1.NewDriverServiceClient(connection)

	if result.ChargePoints, err = chargePoints(ctx, central); err != nil {
		return result, fmt.Errorf("list the charge points: %w", err)
	}
	consumer, err := consumerFromNow(ctx, opts)
	if err != nil {
		return result, fmt.Errorf("kafka at %s: %w", opts.kafka, err)
	}
	defer consumer.Close()

	deniedID := uuid.NewString()
	if result.Denial, err = denied(ctx, central, opts.driver, deniedID); err != nil {
		return result, fmt.Errorf("request an unknown charge point: %w", err)
	}

	var session *networkv1.Session
	if session, result.SameSession, err = requestCharge(ctx, central, opts); err != nil {
		return result, fmt.Errorf("request a charge: %s: %w", reason(err), err)
	}
	if session, err = follow(ctx, central, session); err != nil {
		return result, fmt.Errorf("follow the session: %w", err)
	}
	result.Outcome = strings.TrimPrefix(session.GetOutcome().String(), "SESSION_OUTCOME_")
	// The getters of what is absent give zeros.
	billed := session.GetTicket().GetAmount()
	result.Ticket = ticket{session.GetTicket().GetEnergyWh(), billed.GetMicros(), billed.GetCurrencyCode()}

	result.Notifications, result.NetworkStatus.IDs, err = readTopics(ctx, consumer, opts, deniedID, session)
	if err != nil {
		return result, fmt.Errorf("kafka at %s: %w", opts.kafka, err)
	}
	return result, nil
}

// chargePoints gives the ids of every charge point, page by page.
func chargePoints(ctx context.Context, central driverv1.DriverServiceClient) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var ids []string
	for token := ""; ; {
		page, err := central.ListChargePoints(ctx, &driverv1.ListChargePointsRequest{PageSize: pageSize, PageToken: token})
		if err != nil {
			return nil, err
		}
		for _, point := range page.GetChargePoints() {
			price := point.GetPrice()
			log.Printf("%s: %s, %g %s a kWh", point.GetChargePointId(), point.GetLocation(),
				float64(price.GetMicrosPerKwh())/1e6, price.GetCurrencyCode())
			ids = append(ids, point.GetChargePointId())
		}
		if token = page.GetNextPageToken(); token == "" {
			slices.Sort(ids)
			return ids, nil
		}
	}
}

// reason is why central refused, as a word for programs; empty if the error is not one of evmesh's.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "evmesh" {
			return info.GetReason()
		}
	}
	return ""
}

// denied asks for a charge point that is not there, and gives the denial's reason.
func denied(ctx context.Context, central driverv1.DriverServiceClient, driver, requestID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := &driverv1.RequestChargeRequest{DriverId: driver, ChargePointId: "NOWHERE-99", RequestId: requestID}
	_, err := central.RequestCharge(ctx, request)
	why := reason(err)
	if why == "" {
		return "", err
	}
	log.Printf("denied: %s", status.Convert(err).Message())
	return why, nil
}

// requestCharge gives the session, and whether a repeat gave the same one: a request with an id may be repeated
// without harm.
func requestCharge(ctx context.Context, central driverv1.DriverServiceClient, opts options) (*networkv1.Session, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	request := &driverv1.RequestChargeRequest{
		DriverId:       opts.driver,
		ChargePointId:  opts.chargePoint,
		LocationPrefix: opts.place,
		RequestId:      uuid.NewString(),
	}
	first, err := central.RequestCharge(ctx, request)
	if err != nil {
		return nil, false, err
	}
	repeat, err := central.RequestCharge(ctx, request)
	if err != nil {
		return nil, false, err
	}
	session := first.GetSession()
	log.Printf("reserved: %s, session %s", session.GetChargePointId(), session.GetSessionId())
	return session, repeat.GetSession().GetSessionId() == session.GetSessionId(), nil
}

// follow shows the session live, until it is settled. No timeout: a charge takes as long as it takes. A stream that
// breaks, for central restarts or a proxy cuts it, is opened again: it begins with the session as it is by then.
func follow(ctx context.Context, central driverv1.DriverServiceClient, session *networkv1.Session) (*networkv1.Session, error) {
	for said := false; ; time.Sleep(retryAfter) {
		var err error
		if session, err = watch(ctx, central, session); session.GetSettled() {
			return session, nil
		}
		if status.Code(err) == codes.NotFound || ctx.Err() != nil {
			return nil, err
		}
		if !said {
			said = true
			log.Printf("the stream broke, and is opened again: %v", err)
		}
	}
}

// watch shows the session until the stream ends, and gives it as it was last, and why the stream ended.
func watch(ctx context.Context, central driverv1.DriverServiceClient, session *networkv1.Session) (*networkv1.Session, error) {
	request := &driverv1.WatchSessionRequest{DriverId: session.GetDriverId(), SessionId: session.GetSessionId()}
	stream, err := central.WatchSession(ctx, request)
	if err != nil {
		return session, err
	}
	for {
		update, err := stream.Recv()
		if err != nil {
			return session, err
		}
		session = update.GetSession()
		log.Printf("%s: %.3f kWh, %.2f %s", strings.TrimPrefix(session.GetState().String(), "SESSION_STATE_"),
			float64(session.GetEnergyWh())/1e3, float64(session.GetAmount().GetMicros())/1e6,
			session.GetAmount().GetCurrencyCode())
	}
}
