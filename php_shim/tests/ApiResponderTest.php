<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use InvalidArgumentException;
use LogicException;
use PHPUnit\Framework\TestCase;
use RuntimeException;
use Voxgate\Shim\EncodingError;
use Voxgate\Shim\Json;
use Voxgate\Shim\Refusal;
use Voxgate\Shim\Request;
use Voxgate\Shim\Schema;
use Voxgate\Shim\SharedData;

final class ApiResponderTest extends TestCase
{
    public function testASuccessHasItsMembersInOrderAndLegacyBesideThem(): void
    {
        $recorder = new Recorder();
        $recorder->api->jsonSuccess([['id' => 1]], ['rows' => [['id' => 1]]], 201);
        $this->assertSame(['success', 'traceId', 'data', 'rows'], array_keys((array) $recorder->body()));
        $this->assertSame(201, $recorder->answer->status);
        $this->assertSame('application/json', $recorder->answer->headers['content-type']);
        $this->assertSame($recorder->body()->traceId, $recorder->answer->headers['x-trace-id']);
    }

    public function testEveryAnswerCarriesTheSharedSecurityHeaders(): void
    {
        $groups = SharedData::load('security_headers');
        foreach (['/api/x.php' => true, '/x.php' => false] as $path => $private) {
            $recorder = new Recorder(new Request('GET', $path));
            $recorder->api->jsonSuccess(null);
            foreach ([...(array) $groups->every, ...(array) $groups->data] as $name => $value) {
                $this->assertSame($value, $recorder->answer->headers[$name]);
            }
            $this->assertSame($private, isset($recorder->answer->headers['cache-control']));
            $this->assertArrayNotHasKey('strict-transport-security', $recorder->answer->headers);
        }
    }

    /** @return list<array{string}> */
    public function members(): array
    {
        return [['success'], ['traceId'], ['data'], ['error']];
    }

    /** @dataProvider members */
    public function testALegacyFieldCannotReplaceAMember(string $name): void
    {
        $this->expectException(InvalidArgumentException::class);
        (new Recorder())->api->jsonSuccess([], [$name => 1]);
    }

    public function testTextThatIsNotUtf8IsAnErrorAndBecomesA500WithoutAWordOfIt(): void
    {
        $recorder = new Recorder();
        try {
            $recorder->api->jsonSuccess(['name' => "M\xfcller"]);
            $this->fail('it was written');
        } catch (EncodingError $error) {
            $recorder->api->fail($error);
        }
        $this->assertSame(500, $recorder->answer->status);
        $this->assertStringNotContainsString('ller', $recorder->answer->body);
    }

    public function testAnExceptionTellsTheCallerNothing(): void
    {
        $recorder = new Recorder();
        $recorder->api->fail(new RuntimeException('the password is hunter2'));
        $this->assertSame('internal_error', $recorder->body()->error->code);
        $this->assertStringNotContainsString('hunter2', $recorder->answer->body);
        $this->assertTrue(Schema::fits(Schema::named('envelope-problem'), $recorder->body()));
    }

    public function testARefusalThatCannotBeWrittenBecomesA500(): void
    {
        foreach ([new Refusal('no_such_code'), new Refusal('conflict', "\xff")] as $refusal) {
            $recorder = new Recorder();
            $recorder->api->fail($refusal);
            $this->assertSame(500, $recorder->answer->status);
        }
    }

    public function testASecondAnswerIsAFaultAndTheFirstStays(): void
    {
        $recorder = new Recorder();
        $recorder->api->jsonSuccess(1);
        try {
            $recorder->api->jsonSuccess(2);
            $this->fail('it was sent');
        } catch (LogicException $fault) {
            $recorder->api->fail($fault);
        }
        $this->assertSame(1, $recorder->body()->data);
    }

    /** @return list<array{int}> */
    public function badStatuses(): array
    {
        return [[100], [199], [204], [300], [404], [600], [0]];
    }

    /** @dataProvider badStatuses */
    public function testASuccessHasTheStatusOfOne(int $status): void
    {
        $this->expectException(InvalidArgumentException::class);
        (new Recorder())->api->jsonSuccess(null, [], $status);
    }

    public function testAProblemHasTheStatusOfOne(): void
    {
        $this->expectException(InvalidArgumentException::class);
        (new Recorder())->api->jsonError('not_found', null, 200);
    }

    public function testAMethodThatIsNotAllowedIsRefusedWithThoseThatAre(): void
    {
        $recorder = new Recorder(new Request('PATCH', '/api/x.php'));
        try {
            $recorder->api->admit(['POST', 'GET']);
            $this->fail('it was admitted');
        } catch (Refusal $refusal) {
            $recorder->api->fail($refusal);
        }
        $this->assertSame(405, $recorder->answer->status);
        $this->assertSame('GET, HEAD, OPTIONS, POST', $recorder->answer->headers['allow']);
    }

    public function testOptionsIsAnsweredAndHeadKeepsItsBodyToItself(): void
    {
        $options = new Recorder(new Request('OPTIONS', '/api/x.php'));
        $this->assertFalse($options->api->admit(['POST']));
        $this->assertSame([204, '', 'OPTIONS, POST'], [
            $options->answer->status,
            $options->answer->body,
            $options->answer->headers['allow'],
        ]);
        $head = new Recorder(new Request('HEAD', '/api/x.php'));
        $this->assertTrue($head->api->admit(['GET']));
        $head->api->jsonSuccess(1);
        $this->assertTrue($head->headOnly);
    }

    public function testAHeaderHoldsNoSecondLine(): void
    {
        $recorder = new Recorder();
        $recorder->api->jsonError('conflict', null, null, null, [], ['retry-after' => "1\r\nx: y"]);
        $this->assertSame('1  x: y', $recorder->answer->headers['retry-after']);
    }

    public function testDetailsAreAnObjectEvenWhenTheyAreEmpty(): void
    {
        $recorder = new Recorder();
        $recorder->api->jsonError('invalid_input', null, null, []);
        $this->assertStringContainsString('"details":{}', $recorder->answer->body);
    }

    public function testTheEnvelopesOwnNumbersSurviveARoundTrip(): void
    {
        $recorder = new Recorder();
        $recorder->api->jsonSuccess(['a' => 0.1, 'b' => 1.0]);
        $this->assertSame('{"a":0.1,"b":1.0}', Json::encode($recorder->body()->data));
    }
}
