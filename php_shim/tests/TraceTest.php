<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use PHPUnit\Framework\TestCase;
use Voxgate\Shim\Trace;

final class TraceTest extends TestCase
{
    private const ID = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
    private const PARENT = 'bbbbbbbbbbbbbbbb';

    /** @return list<array{string, int}> */
    public function valid(): array
    {
        return [
            ['00-' . self::ID . '-' . self::PARENT . '-00', 0],
            ['00-' . self::ID . '-' . self::PARENT . '-ff', 1],
            ['01-' . self::ID . '-' . self::PARENT . '-01', 1],
            ['fe-' . self::ID . '-' . self::PARENT . '-02-more-of-it', 0],
        ];
    }

    /** @dataProvider valid */
    public function testAValidTraceIsContinuedWithASpanOfOurOwn(string $value, int $flags): void
    {
        $trace = Trace::fromHeader($value);
        $this->assertSame(self::ID, $trace->traceId);
        $this->assertSame(self::PARENT, $trace->parentId);
        $this->assertSame($flags, $trace->flags);
        $this->assertNotSame(self::PARENT, $trace->spanId);
        $this->assertSame("00-{$trace->traceId}-{$trace->spanId}-0$flags", $trace->traceparent());
    }

    /** @return list<array{string|null}> */
    public function invalid(): array
    {
        $good = '00-' . self::ID . '-' . self::PARENT . '-01';
        return [
            [null], [''], ['x'], [strtoupper($good)], [$good . "\n"], [" $good"], ["$good-more"], ["$good, $good"],
            ['01' . substr($good, 2) . ', 01' . substr($good, 2)], ['ff' . substr($good, 2)],
            ['01' . substr($good, 2) . '-x,y'], ['00-' . str_repeat('0', 32) . '-' . self::PARENT . '-01'],
            ['00-' . self::ID . '-' . str_repeat('0', 16) . '-01'], ['00-' . self::ID . '-' . self::PARENT],
            ['01' . substr($good, 2) . 'a'], ['0g' . substr($good, 2)],
        ];
    }

    /** @dataProvider invalid */
    public function testAnInvalidOneStartsATraceThatIsNotSampled(?string $value): void
    {
        $trace = Trace::fromHeader($value);
        $fresh = '/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/D';
        $this->assertMatchesRegularExpression($fresh, $trace->traceparent());
        $this->assertNotSame(self::ID, $trace->traceId);
        $this->assertNull($trace->parentId);
    }
}
