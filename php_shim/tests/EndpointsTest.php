<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use PHPUnit\Framework\TestCase;
use stdClass;
use Voxgate\Shim\Endpoint;
use Voxgate\Shim\Endpoints\ChatbotSettings;
use Voxgate\Shim\Endpoints\Conversations;
use Voxgate\Shim\Endpoints\DonnaLogic;
use Voxgate\Shim\Endpoints\Health;
use Voxgate\Shim\Endpoints\Marketing;
use Voxgate\Shim\Endpoints\SalesOverview;
use Voxgate\Shim\Endpoints\VoiceChat;
use Voxgate\Shim\Environment;
use Voxgate\Shim\Json;
use Voxgate\Shim\Schema;
use Voxgate\Shim\SharedData;

final class EndpointsTest extends TestCase
{
    private const JSON = ['content-type' => 'application/json'];
    private const EVENT = ['content-type' => 'application/cloudevents+json'];

    /** @return array<string, Endpoint> */
    private static function endpoints(): array
    {
        return [
            'health' => new Health(),
            'donna_logic' => new DonnaLogic(),
            'marketing' => new Marketing(),
            'conversations' => new Conversations(),
            'voice-chat' => new VoiceChat(),
            'sales_overview' => new SalesOverview(),
            'chatbot_settings' => new ChatbotSettings(),
        ];
    }

    private static function event(array $changed = []): string
    {
        return Json::encode([
            'specversion' => '1.0',
            'id' => 'evt_1',
            'source' => '/voxgate',
            'type' => 'voice.turn.completed',
            'data' => new stdClass(),
            ...$changed,
        ]);
    }

    /** @return iterable<string, array{string, string, string, array<string, string>, string|null, int}> */
    public function calls(): iterable
    {
        yield 'health' => ['health', 'GET', '', [], null, 200];
        yield 'marketing' => ['marketing', 'GET', 'period=90d&_=1', [], null, 200];
        yield 'sales' => ['sales_overview', 'GET', '', [], null, 200];
        yield 'sales of another period' => ['sales_overview', 'GET', 'period=1y', [], null, 422];
        yield 'a period behind percents' => ['marketing', 'GET', 'p%65riod=%37d', [], null, 200];
        yield 'a parameter twice' => ['marketing', 'GET', 'period=7d&period=7d', [], null, 422];
        yield 'a page' => ['conversations', 'GET', 'limit=2', [], null, 200];
        yield 'the page after' => ['conversations', 'GET', 'limit=2&cursor=conv_fixture_02', [], null, 200];
        yield 'a page of none' => ['conversations', 'GET', 'limit=0', [], null, 422];
        yield 'a conversation' => ['conversations', 'GET', 'id=conv_fixture_02', [], null, 200];
        yield 'no conversation' => ['conversations', 'GET', 'id=none', [], null, 404];
        yield 'an id that is a path' => ['conversations', 'GET', 'id=..%2Fetc', [], null, 422];
        yield 'an id with a line feed' => ['conversations', 'GET', 'id=a%0A', [], null, 422];
        yield 'deleting a fixture' => ['conversations', 'DELETE', 'id=conv_fixture_01', [], null, 503];
        yield 'deleting nothing' => ['conversations', 'DELETE', '', [], null, 422];
        yield 'a turn' => ['donna_logic', 'POST', '', self::JSON, '{"text":"hi"}', 200];
        yield 'a turn of blanks' => ['donna_logic', 'POST', '', self::JSON, '{"text":" \t"}', 422];
        yield 'a turn of a number' => ['donna_logic', 'POST', '', self::JSON, '{"text":1}', 422];
        yield 'a turn and more' => ['donna_logic', 'POST', '', self::JSON, '{"text":"hi","0":1}', 422];
        yield 'a form' => ['donna_logic', 'POST', '', ['content-type' => 'text/plain'], 'text=hi', 415];
        yield 'a spoken turn' => ['voice-chat', 'POST', '', self::JSON, '{"text":"hi","sessionId":"s_1"}', 200];
        yield 'an event' => ['voice-chat', 'POST', '', self::EVENT, self::event(), 200];
        yield 'an event that is none' => ['voice-chat', 'POST', '', self::EVENT, '{"type":"x"}', 422];
        yield 'settings' => ['chatbot_settings', 'GET', '', [], null, 200];
        yield 'new settings' => ['chatbot_settings', 'POST', '', self::JSON, '{"maxTurns":5.0,"topics":[]}', 200];
        yield 'bad settings' => ['chatbot_settings', 'POST', '', self::JSON, '{"temperature":2.1,"topics":[""]}', 422];
        yield 'a method' => ['health', 'DELETE', '', [], null, 405];
    }

    /** @dataProvider calls */
    public function testEveryAnswerHasItsStatusAndFitsItsSchema(
        string $name,
        string $method,
        string $query,
        array $headers,
        ?string $body,
        int $status,
    ): void {
        $recorder = Recorder::call($name, self::endpoints()[$name], $method, $query, $headers, $body);
        $this->assertSame($status, $recorder->answer->status, $recorder->answer->body);
        $schema = Schema::named("endpoint-$name");
        $this->assertTrue(Schema::fits($schema, $recorder->body()), $recorder->answer->body);
        $kind = $status < 400 ? 'success' : 'problem';
        $this->assertTrue(Schema::fits($schema->{'$defs'}->{$kind}, $recorder->body()));
    }

    public function testTheTableNamesTheSevenAndEachHasItsFile(): void
    {
        $rows = (array) SharedData::load('table')->endpoints;
        $this->assertSame(array_keys(self::endpoints()), array_keys($rows));
        foreach ($rows as $row) {
            $this->assertFileExists(__DIR__ . '/../public' . $row->path);
        }
    }

    public function testAKeyIsAskedForEverywhereButAtHealth(): void
    {
        $environment = new Environment('', 'secret-key');
        foreach (self::endpoints() as $name => $endpoint) {
            $method = array_key_first((array) SharedData::load('table')->endpoints->{$name}->methods);
            foreach (['' => 'credential_missing', 'Bearer wrong' => 'credential_invalid'] as $given => $code) {
                $headers = $given === '' ? self::JSON : [...self::JSON, 'authorization' => $given];
                $recorder = Recorder::call($name, $endpoint, $method, '', $headers, '{"text":"hi"}', $environment);
                $this->assertSame($name === 'health' ? 200 : 401, $recorder->answer->status);
                $this->assertSame($name === 'health' ? null : $code, $recorder->body()->error->code ?? null);
            }
            $good = [...self::JSON, 'authorization' => 'Bearer secret-key'];
            $recorder = Recorder::call($name, $endpoint, $method, '', $good, '{"text":"hi"}', $environment);
            $this->assertNotSame(401, $recorder->answer->status);
        }
    }

    public function testASignedEventNeedsNoKeyAndAnUnsignedOneIsRefused(): void
    {
        $secret = 'whsec_' . base64_encode(str_repeat('k', 32));
        $environment = new Environment('', 'secret-key', $secret);
        $body = self::event();
        $digest = base64_encode(hash_hmac('sha256', "evt_1.1700000000.$body", str_repeat('k', 32), true));
        $signed = [
            ...self::EVENT,
            'webhook-id' => 'evt_1',
            'webhook-timestamp' => '1700000000',
            'webhook-signature' => "v1,$digest",
        ];
        $call = static fn (array $headers, string $body): Recorder
            => Recorder::call('voice-chat', new VoiceChat(), 'POST', '', $headers, $body, $environment);
        $this->assertSame(200, $call($signed, $body)->answer->status);
        $this->assertSame('credential_invalid', $call($signed, "$body ")->body()->error->code);
        $unsigned = [...self::EVENT, 'authorization' => 'Bearer secret-key'];
        $this->assertSame('credential_missing', $call($unsigned, $body)->body()->error->code);
    }

    public function testTheIdOfTheHeaderIsThatOfTheBody(): void
    {
        $secret = 'whsec_' . base64_encode(str_repeat('k', 32));
        $body = self::event(['id' => 'evt_2']);
        $digest = base64_encode(hash_hmac('sha256', "evt_1.1700000000.$body", str_repeat('k', 32), true));
        $headers = [
            ...self::EVENT,
            'webhook-id' => 'evt_1',
            'webhook-timestamp' => '1700000000',
            'webhook-signature' => "v1,$digest",
        ];
        $environment = new Environment('', '', $secret);
        $recorder = Recorder::call('voice-chat', new VoiceChat(), 'POST', '', $headers, $body, $environment);
        $this->assertSame('bad_request', $recorder->body()->error->code);
    }

    public function testASecretThatIsNoneIsA500AndIsNotTold(): void
    {
        $headers = [
            ...self::EVENT,
            'webhook-id' => 'evt_1',
            'webhook-timestamp' => '1700000000',
            'webhook-signature' => 'v1,x',
        ];
        $environment = new Environment('', '', 'hunter2');
        $recorder = Recorder::call('voice-chat', new VoiceChat(), 'POST', '', $headers, self::event(), $environment);
        $this->assertSame(500, $recorder->answer->status);
        $this->assertStringNotContainsString('hunter2', $recorder->answer->body);
    }

    public function testARefusalNamesWhatIsWrongAndNeverRepeatsWhatWasSent(): void
    {
        $body = '{"text":"<script>","voice":"<script>","x":1}';
        $recorder = Recorder::call('donna_logic', new DonnaLogic(), 'POST', '', self::JSON, $body);
        $details = Json::encode($recorder->body()->error->details);
        $this->assertSame('{"voice":"is not known here","x":"is not known here"}', $details);
    }

    public function testTotalsOfTheFixturesAreTheSumsOfTheirRows(): void
    {
        foreach ((array) SharedData::load('marketing')->periods as $period) {
            foreach ((array) $period->totals as $name => $total) {
                $this->assertEqualsWithDelta(array_sum(array_column($period->campaigns, $name)), $total, 0.001);
            }
        }
        foreach ((array) SharedData::load('sales_overview')->periods as $period) {
            $revenue = array_sum(array_column($period->topProducts, 'revenue'));
            $this->assertEqualsWithDelta($revenue, $period->revenue, 0.001);
            $this->assertSame(array_sum(array_column($period->topProducts, 'orders')), $period->orders);
        }
    }
}
