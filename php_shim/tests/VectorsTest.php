<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use PHPUnit\Framework\TestCase;
use stdClass;
use Throwable;
use Voxgate\Shim\Digits;
use Voxgate\Shim\Json;
use Voxgate\Shim\Request;
use Voxgate\Shim\Schema;

/** The shared vectors, byte for byte: pytest asserts the same files. */
final class VectorsTest extends TestCase
{
    private const FOLDER = __DIR__ . '/../../tests/vectors/envelope';

    /** @return iterable<string, array{stdClass}> */
    public function vectors(): iterable
    {
        foreach (glob(self::FOLDER . '/*.json') ?: [] as $path) {
            foreach (Json::decode((string) file_get_contents($path), Json::MAX_DEPTH) as $vector) {
                yield $vector->name => [$vector];
            }
        }
    }

    /** @dataProvider vectors */
    public function testACallMakesTheBytesThatPythonMakes(stdClass $vector): void
    {
        $given = $vector->arguments;
        $headers = ['traceparent' => $given->traceparent];
        $target = $given->target ?? '/api/vector.php';
        $recorder = new Recorder(new Request('GET', $target, $headers, '', $given->https ?? false));
        try {
            $vector->call === 'success'
                ? $recorder->api->jsonSuccess(self::untagged($given->data), $given->legacy ?? [], $given->status ?? 200)
                : $recorder->api->jsonError(
                    $given->code,
                    $given->message ?? null,
                    $given->status ?? null,
                    isset($given->details) ? self::untagged($given->details) : null,
                    isset($given->legacy) ? self::untagged($given->legacy) : [],
                );
        } catch (Throwable $error) {
            $recorder->api->fail($error);
        }
        $this->assertSame($vector->expected_body, $recorder->answer->body);
        $this->assertSame($vector->expected_status, $recorder->answer->status);
        foreach ((array) $vector->expected_headers as $name => $value) {
            $this->assertSame($value, $recorder->answer->headers[$name] ?? null, $name);
        }
        $this->assertSame((string) strlen($recorder->answer->body), $recorder->answer->headers['content-length']);
        $trace = substr($given->traceparent, 3, 32);
        $this->assertStringStartsWith("00-$trace-", $recorder->answer->headers['traceparent']);
        if (!str_contains($vector->name, 'legacy')) {
            $name = $vector->expected_status < 400 ? 'envelope-success' : 'envelope-problem';
            $this->assertTrue(Schema::fits(Schema::named($name), $recorder->body()));
        }
    }

    public function testThereAreEnoughVectorsAndNoTwoOfOneName(): void
    {
        $names = [];
        foreach ($this->vectors() as $name => $vector) {
            $names[] = $name;
        }
        $this->assertGreaterThanOrEqual(120, count($names));
        $this->assertSame($names, array_values(array_unique($names)));
    }

    /** An argument with its tags replaced: php_shim/tools/vectors.py names them. */
    private static function untagged(mixed $value): mixed
    {
        if (is_array($value)) {
            return array_map(self::untagged(...), $value);
        }
        if (!$value instanceof stdClass) {
            return $value;
        }
        $members = (array) $value;
        if (count($members) === 1) {
            switch ((string) array_key_first($members)) {
                case '$digits':
                    return new Digits($members['$digits']);
                case '$float':
                    return ['nan' => NAN, 'inf' => INF, '-inf' => -INF][$members['$float']];
                case '$nest':
                    $nested = [];
                    for ($level = 1; $level < $members['$nest']; $level++) {
                        $nested = [$nested];
                    }
                    return $nested;
            }
        }
        $plain = new stdClass();
        foreach ($members as $name => $inner) {
            $plain->{$name} = self::untagged($inner);
        }
        return $plain;
    }
}
