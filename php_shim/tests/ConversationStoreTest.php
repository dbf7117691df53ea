<?php

declare(strict_types=1);

namespace Voxgate\Shim\Tests;

use PHPUnit\Framework\TestCase;
use RuntimeException;
use stdClass;
use Voxgate\Shim\ConversationStore;
use Voxgate\Shim\Json;
use Voxgate\Shim\Refusal;

final class ConversationStoreTest extends TestCase
{
    private string $directory;
    private ConversationStore $store;

    protected function setUp(): void
    {
        $this->directory = sys_get_temp_dir() . '/voxgate-' . bin2hex(random_bytes(8));
        mkdir($this->directory, 0700);
        $this->store = new ConversationStore($this->directory);
    }

    protected function tearDown(): void
    {
        foreach (array_diff(scandir($this->directory), ['.', '..']) as $name) {
            unlink("{$this->directory}/$name");
        }
        rmdir($this->directory);
    }

    private static function turn(string $id, string $text = 'hi', int $at = 5): stdClass
    {
        return (object) ['id' => $id, 'role' => 'user', 'text' => $text, 'at' => $at];
    }

    private function refusedAs(callable $work): string
    {
        try {
            $work();
        } catch (Refusal $refusal) {
            return $refusal->errorCode;
        }
        return 'nothing';
    }

    public function testWhatIsAppendedIsReadBackInOrderAndATurnCountsOnce(): void
    {
        $this->store->append('a', [self::turn('1', 'Größe/😀', 5)]);
        $this->store->append('a', [self::turn('1', 'again', 6), self::turn('2', 'more', 7)]);
        $found = $this->store->get('a');
        $this->assertSame(['1', '2'], array_column($found->turns, 'id'));
        $this->assertSame(['Größe/😀', 5, 7], [$found->title, $found->createdAt, $found->updatedAt]);
    }

    public function testTheTitleIsTheFirstSixtyCharactersAndNotBytes(): void
    {
        $this->store->append('a', [self::turn('1', str_repeat('😀', 70))]);
        $this->assertSame(str_repeat('😀', 60), $this->store->get('a')->title);
    }

    public function testPagesFollowEachOtherWhateverIsDeletedBetween(): void
    {
        foreach (['b', 'd', 'a', 'c', 'B'] as $id) {
            $this->store->append($id, [self::turn('1')]);
        }
        [$page, $cursor] = $this->store->page(2, '');
        $this->assertSame([['B', 'a'], 'a'], [array_column($page, 'id'), $cursor]);
        $this->store->delete('a');
        [$page, $cursor] = $this->store->page(3, $cursor);
        $this->assertSame([['b', 'c', 'd'], null], [array_column($page, 'id'), $cursor]);
    }

    public function testWhatIsNotThereIsNotFound(): void
    {
        $this->assertSame('not_found', $this->refusedAs(fn () => $this->store->get('x')));
        $this->assertSame('not_found', $this->refusedAs(fn () => $this->store->delete('x')));
    }

    public function testALinkIsNotFollowed(): void
    {
        symlink(__FILE__, "{$this->directory}/x.json");
        $this->assertSame('not_found', $this->refusedAs(fn () => $this->store->get('x')));
        $this->assertFileExists(__FILE__);
    }

    public function testAnIdThatIsNoNameNeverReachesTheDisk(): void
    {
        $this->expectException(RuntimeException::class);
        $this->store->get('../x');
    }

    public function testAConversationHasAnEnd(): void
    {
        $turns = array_map(static fn (int $i): stdClass => self::turn("t$i"), range(1, ConversationStore::MAX_TURNS));
        $this->store->append('a', $turns);
        $this->assertSame('conflict', $this->refusedAs(fn () => $this->store->append('a', [self::turn('one-more')])));
        $this->assertCount(ConversationStore::MAX_TURNS, $this->store->get('a')->turns);
    }

    public function testADirectoryThatIsNotThereIsSaidAndNotMade(): void
    {
        $store = new ConversationStore($this->directory . '/none');
        $this->assertFalse($store->works());
        $this->assertSame('unavailable', $this->refusedAs(fn () => $store->page(1, '')));
        $this->assertDirectoryDoesNotExist($this->directory . '/none');
    }

    public function testADamagedFileIsAnErrorAndNotAnEmptyConversation(): void
    {
        file_put_contents("{$this->directory}/x.json", '[]');
        $this->expectException(RuntimeException::class);
        $this->store->get('x');
    }

    public function testAFileIsForItsOwnerAndForOtherNamesNothingIsLeft(): void
    {
        $this->store->append('a', [self::turn('1')]);
        $this->assertSame('0600', substr(sprintf('%o', fileperms("{$this->directory}/a.json")), -4));
        $this->assertSame(['.lock', 'a.json'], array_values(array_diff(scandir($this->directory), ['.', '..'])));
        $this->assertSame('a', Json::decode(file_get_contents("{$this->directory}/a.json"))->id);
    }

    public function testIdsMadeHereFitAndSortByTime(): void
    {
        $id = ConversationStore::newId();
        $this->assertMatchesRegularExpression('/^conv_[0-9a-f]{12}_[0-9a-f]{16}$/D', $id);
        $this->assertGreaterThan('conv_0190', $id);
    }
}
