<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use PHPUnit\Framework\TestCase;
use Voxgate\Shim\Refusal;
use Voxgate\Shim\Request;

final class RequestTest extends TestCase
{
    private const JSON = ['content-type' => 'application/json; charset=utf-8'];

    private static function refusedAs(callable $work): string
    {
        try {
            $work();
        } catch (Refusal $refusal) {
            return $refusal->errorCode;
        }
        return 'nothing';
    }

    public function testAJsonBodyIsRead(): void
    {
        $this->assertSame(1, (new Request('POST', '/', self::JSON, '{"a":1}'))->json()->a);
    }

    /** @return array<string, array{array<string, string>, string, string}> */
    public function badBodies(): array
    {
        return [
            'no type' => [[], '{}', 'unsupported_media_type'],
            'a form' => [['content-type' => 'application/x-www-form-urlencoded'], 'a=1', 'unsupported_media_type'],
            'text' => [['content-type' => 'text/plain'], '{}', 'unsupported_media_type'],
            'a type that begins alike' => [['content-type' => 'application/json5'], '{}', 'unsupported_media_type'],
            'compressed' => [[...self::JSON, 'content-encoding' => 'gzip'], '{}', 'unsupported_media_type'],
            'nothing' => [self::JSON, '', 'malformed_json'],
            'half' => [self::JSON, '{"a":', 'malformed_json'],
            'a list' => [self::JSON, '[]', 'invalid_input'],
            'null' => [self::JSON, 'null', 'invalid_input'],
            'too much' => [self::JSON, str_repeat(' ', Request::BODY_LIMIT + 1), 'body_too_large'],
        ];
    }

    /** @dataProvider badBodies */
    public function testABodyThatIsNoJsonObjectIsRefused(array $headers, string $body, string $code): void
    {
        $this->assertSame($code, self::refusedAs(fn () => (new Request('POST', '/', $headers, $body))->json()));
    }

    /** @return array<string, array{string, array<string, string>, string}> */
    public function targets(): array
    {
        return [
            'plain' => ['/api/x.php?a=1', [], 'nothing'],
            'text behind percents' => ['/caf%C3%A9?q=%E2%82%AC', [], 'nothing'],
            'a length that fits' => ['/', ['content-length' => (string) Request::BODY_LIMIT], 'nothing'],
            'a path that is no text' => ['/%ff', [], 'bad_request'],
            'a line feed in the path' => ['/a%0Ab', [], 'bad_request'],
            'a query that is no text' => ['/?q=%ff', [], 'bad_request'],
            'bare bytes in the query' => ["/?q=\xc3\xa9", [], 'bad_request'],
            'a length with a sign' => ['/', ['content-length' => '+1'], 'bad_request'],
            'a length past it' => ['/', ['content-length' => (string) (Request::BODY_LIMIT + 1)], 'body_too_large'],
            'a length of forty digits' => ['/', ['content-length' => str_repeat('9', 40)], 'body_too_large'],
        ];
    }

    /** @dataProvider targets */
    public function testARequestIsJudgedBeforeAnythingElse(string $target, array $headers, string $code): void
    {
        $this->assertSame($code, self::refusedAs(fn () => (new Request('GET', $target, $headers))->check()));
    }

    public function testTheAbsoluteFormIsTheSamePath(): void
    {
        $this->assertSame('/api/x.php', (new Request('GET', 'http://host:80/api/x.php?q'))->path());
        $this->assertSame('/', (new Request('GET', 'http://host'))->path());
        $this->assertSame('//host/x', (new Request('GET', '//host/x'))->path());
    }
}
